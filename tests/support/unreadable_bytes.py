"""Bytes that are no HTTP request, or stop being one, each of a sort of its own."""

from __future__ import annotations

HOST = b"Host: 127.0.0.1\r\n"
NO_HTTP = {
    "a byte above ASCII in the path": b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "a space in a header's name": b"GET / HTTP/1.1\r\n" + HOST + b"Bad Name: x\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\n" + HOST + b"nothing\r\n\r\n",
    "a NUL in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: a\0b\r\n\r\n",
    "no number of a length": b"POST /length HTTP/1.1\r\n" + HOST + b"Content-Length: ten\r\n\r\n",
    "two lengths": b"POST /length HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n12",
    "a version of its own": b"GET / HTTP/9.9\r\n" + HOST + b"\r\n",
    "a greeting of TLS": bytes.fromhex("1603010200010001fc0303") + b"\x7f" * 40 + b"\r\n\r\n",
    "a method of its own": b"<GET> / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a line without end": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    "a header without end": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 20_000 + b"\r\n\r\n",
    "too many headers": b"GET / HTTP/1.1\r\n" + HOST + b"X-A: a\r\n" * 2_000 + b"\r\n",
    "a good one and a bad one": b"GET /rows HTTP/1.1\r\n" + HOST + b"\r\nGET /\xff HTTP/1.1\r\n\r\n",
}
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n\r\n"
BROKEN_BODIES = {
    "no number of a chunk": b"POST /length HTTP/1.1\r\n" + CHUNKED + b"zz\r\n1\r\n0\r\n\r\n",
    "a bad chunk after a good one": b"POST /length HTTP/1.1\r\n" + CHUNKED + b"1\r\n1\r\nzz\r\n",
    "no number of a chunk that nobody reads": b"GET /rows HTTP/1.1\r\n" + CHUNKED + b"zz\r\n1\r\n0\r\n\r\n",
}
