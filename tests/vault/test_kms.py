"""The example of docs/vault.md, as it stands there: a key management service as a provider."""

import hmac
import io
import re
from pathlib import Path

import pytest

from radvit.errors import VaultError
from radvit.vault.rotation import rotate
from radvit.vault.store import Vault

PAGE = Path(__file__).parents[2] / "docs" / "vault.md"


@pytest.fixture(scope="module")
def service_key():
    (block,) = (
        block
        for block in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
        if "class ServiceKey" in block
    )
    names = {"__name__": "example"}
    exec(compile(block, str(PAGE), "exec"), names)
    return names["ServiceKey"]


class Service:
    """Answers with MACs under keys that it keeps; counts its calls."""

    def __init__(self):
        self.calls, self.reachable = 0, True

    def generate_mac(self, key_id, message):
        if not self.reachable:
            raise ConnectionError
        self.calls += 1
        return hmac.digest(key_id.encode(), message, "sha256")


def test_a_vault_by_a_service(tmp_path, service_key, provider):
    service = Service()
    vault = Vault.init(tmp_path / "v", service_key(service, "one"))
    object_id = vault.put(b"small")
    target = io.BytesIO()
    Vault(tmp_path / "v", service_key(service, "one")).get(object_id, target)
    assert target.getvalue() == b"small"
    assert service.calls == 3  # once for init, once for each opening: none for a put or a get
    with pytest.raises(VaultError, match="the key is not this vault's"):
        Vault(tmp_path / "v", service_key(service, "two"))
    assert rotate(tmp_path / "v", service_key(service, "one"), service_key(service, "two")).done
    assert rotate(tmp_path / "v", service_key(service, "two"), provider).done
    assert Vault(tmp_path / "v", provider).verify() == ()


def test_a_service_that_is_away_is_told_in_one_line(tmp_path, service_key):
    service = Service()
    Vault.init(tmp_path / "v", service_key(service, "one"))
    service.reachable = False
    with pytest.raises(VaultError, match="key service can't be reached; expected key one"):
        Vault(tmp_path / "v", service_key(service, "one"))
