import pytest

from radvit.vault.keys import KeyFile
from radvit.vault.store import Vault


@pytest.fixture
def provider(tmp_path):
    return KeyFile(tmp_path / "keys" / "vault.key")


@pytest.fixture
def vault(tmp_path, provider):
    return Vault.init(tmp_path / "vault", provider)
