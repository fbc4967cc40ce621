"""A certificate of its own for 127.0.0.1, which nobody vouches for: it is the file to trust as well."""

import ssl
import subprocess
from pathlib import Path


def certificate(folder: Path) -> tuple[Path, Path]:
    """Certificate and key (PEM) in a folder that is there."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    order = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=server"]
    subprocess.run([*order, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def trusting(cert: Path) -> ssl.SSLContext:
    """For a client that trusts it."""
    return ssl.create_default_context(cafile=str(cert))
