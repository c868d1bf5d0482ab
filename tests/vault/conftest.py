import pytest

from radvit.audit.place import KEY_ENVIRONMENT, LOG_ENVIRONMENT
from radvit.cli import main
from radvit.deid.key import ENVIRONMENT as DEID_KEY
from radvit.vault.keys import ENVIRONMENT, KeyFile
from radvit.vault.reid import ENVIRONMENT as MAP_KEY
from radvit.vault.store import Vault

from .vaults import PLAINS


@pytest.fixture
def provider(tmp_path):
    return KeyFile(tmp_path / "keys" / "vault.key")


@pytest.fixture
def vault(tmp_path, provider):
    return Vault.init(tmp_path / "vault", provider)


@pytest.fixture
def new(tmp_path):
    return KeyFile(tmp_path / "keys" / "new.key")


@pytest.fixture
def ids(vault):
    return [vault.put(plain) for plain in PLAINS]


@pytest.fixture
def nowhere_else(tmp_path, monkeypatch):
    for name in (ENVIRONMENT, MAP_KEY, DEID_KEY, LOG_ENVIRONMENT, KEY_ENVIRONMENT, "RADVIT_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.dcm").write_bytes(b"first" * 1000)
    (tmp_path / "b.dcm").write_bytes(b"second")


@pytest.fixture
def told(capsys, nowhere_else):
    """Run `radvit vault ...`: (exit code, lines on standard output, lines on standard error)."""

    def run(*arguments):
        code = 0
        try:
            main(["vault", *arguments])
        except SystemExit as left:
            code = left.code
        out = capsys.readouterr()
        return code, out.out.splitlines(), out.err.splitlines()

    return run
