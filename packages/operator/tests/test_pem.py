"""Chains and keys: what is understood, what is refused, and that nothing hostile does more than be refused."""

import base64
import random
import re
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certificate_rig import pair
from varnish_gateway_operator.translate.pem import InvalidCertificateError, read_pair

TRADITIONAL = PrivateFormat.TraditionalOpenSSL
RSA = rsa.generate_private_key(65537, 2048)
EC_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"


@pytest.mark.parametrize(
    ("chain", "key"),
    [
        pair("a.test"),
        pair("a.test", form=TRADITIONAL),
        pair("a.test", key=RSA),
        pair("a.test", key=RSA, form=TRADITIONAL),
        pair("a.test", key=ec.generate_private_key(ec.SECP384R1())),
        pair("a.test", key=ed25519.Ed25519PrivateKey.generate()),
    ],
    ids=["pkcs8", "sec1", "rsa", "pkcs1", "p-384", "ed25519"],
)
def test_reads_what_clients_take(chain: bytes, key: bytes) -> None:
    found = read_pair(chain, key)
    assert found.names == ("a.test",)
    assert found.content.startswith(chain)
    assert (found.not_before.year, found.not_after.year) == (2020, 2120)
    again = read_pair(chain, found.content.removeprefix(chain))
    assert again == found, "one form for all"


def test_reads_what_openssl_ecparam_writes() -> None:
    chain, key = pair("a.test", form=TRADITIONAL)
    assert read_pair(chain, EC_PARAMETERS + key).names == ("a.test",)


def test_writes_nothing_but_what_it_understood() -> None:
    chain, key = pair("a.test")
    found = read_pair(b"subject=/CN=x\n" + chain + b"\nadd ssl crt-list\n", b"Bag Attributes\n" + key + b"\n\0junk")
    assert found == read_pair(chain, key)


def test_the_shortest_validity_of_a_chain_counts() -> None:
    leaf, key = pair("a.test")
    issuer, _ = pair("ca", start=2024, end=2025)
    found = read_pair(leaf + issuer, key)
    assert (found.not_before.year, found.not_after.year) == (2024, 2025)
    assert found.content.startswith(leaf + issuer)


def test_a_name_that_is_no_hostname_is_no_server_name() -> None:
    names = ("A.Test", "a.test", "*.a.test", "*", "b*.test", "*.*.test", "a b", "x\ny.test", "x [alpn", "a" * 300, "a.")
    assert read_pair(*pair(*names)).names == ("a.test", "*.a.test")


GOOD = pair("a.test")
OTHER = pair("b.test")


@pytest.mark.parametrize(
    ("chain", "key", "message"),
    [
        (b"certificate", GOOD[1], "tls.crt is not a chain"),
        (GOOD[1], GOOD[0], "tls.crt is not a chain"),
        (GOOD[0], b"key", "tls.key is not a private key"),
        (GOOD[0], OTHER[1], "does not belong"),
        (OTHER[0] + GOOD[0], GOOD[1], "does not belong"),
        (GOOD[0], b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "encrypted"),
        (GOOD[0], b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n", "encrypted"),
        (GOOD[0] + b"x" * 1_000_000, GOOD[1], "larger"),
        (GOOD[0], GOOD[1] + b"x" * 1_000_000, "larger"),
        (*pair("a", key=rsa.generate_private_key(65537, 1024)), "1024 bits"),
        (*pair("a", key=ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
        (*pair("a", key=dsa.generate_private_key(1024)), "neither RSA, nor ECDSA, nor Ed25519"),
    ],
)
def test_refuses(chain: bytes, key: bytes, message: str) -> None:
    with pytest.raises(InvalidCertificateError, match=re.escape(message)):
        read_pair(chain, key)


def test_refuses_a_digest_that_clients_refuse() -> None:
    """In a certificate that somebody else signed, or so it says: nothing here signs with SHA-1 any more."""
    chain, key = pair("a.test", key=RSA, issuer="other")
    content = x509.load_pem_x509_certificate(chain).public_bytes(Encoding.DER)
    sha256, sha1 = (bytes.fromhex(f"2a864886f70d0101{last}") for last in ("0b", "05"))
    assert content.count(sha256) == 2
    text = base64.encodebytes(content.replace(sha256, sha1))
    with pytest.raises(InvalidCertificateError, match=r"certificate 1 of tls\.crt is signed by way of sha1"):
        read_pair(b"-----BEGIN CERTIFICATE-----\n" + text + b"-----END CERTIFICATE-----\n", key)


@pytest.mark.parametrize("kind", [(GOOD), pair("a.test", key=RSA)], ids=["ec", "rsa"])
@pytest.mark.parametrize("part", [0, 1], ids=["chain", "key"])
def test_damage_is_refused_or_does_no_harm(kind: tuple[bytes, bytes], part: int) -> None:
    dice = random.Random(part)
    for _ in range(500):
        damaged = [bytearray(each) for each in kind]
        for _ in range(dice.randint(1, 4)):
            damaged[part][dice.randrange(len(damaged[part]))] = dice.choice(b"\0\n-=AZaz09+/\xff")
        with suppress(InvalidCertificateError):
            assert read_pair(bytes(damaged[0]), bytes(damaged[1])).content


@pytest.mark.parametrize("part", ["p", "q", "d", "dmp1", "dmq1", "iqmp"])
def test_a_damaged_rsa_key_is_refused_though_its_public_half_fits(part: str) -> None:
    """What OpenSSL takes, and fails with at every handshake."""
    number = getattr(RSA.private_numbers(), part)
    length = (number.bit_length() + 7) // 8
    good, bad = number.to_bytes(length, "big"), (number ^ 4).to_bytes(length, "big")
    key = RSA.private_bytes(Encoding.DER, TRADITIONAL, NoEncryption())
    assert key.count(good) == 1
    text = base64.encodebytes(key.replace(good, bad))
    chain, _ = pair("a.test", key=RSA)
    with pytest.raises(InvalidCertificateError, match=r"damaged|cannot be read|not a private key"):
        read_pair(chain, b"-----BEGIN RSA PRIVATE KEY-----\n" + text + b"-----END RSA PRIVATE KEY-----\n")
