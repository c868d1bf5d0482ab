"""The audit log."""

from radvit.audit.line import Json
from radvit.audit.log import AuditLog, Batch, os_user
from radvit.audit.place import default_log, known_log

__all__ = ["AuditLog", "Batch", "Json", "default_log", "known_log", "os_user"]
