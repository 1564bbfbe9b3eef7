"""The brokers: how each is installed, configured and started."""

import collections
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
INSTALLED = ROOT / "target/brokers"

Command = collections.namedtuple("Command", "words environment", defaults=[{}])

ALL = ["broker", "tls", "mutual-tls", "ws", "wss"]


def installing(*words):
    """Runs a command that installs something."""
    print("+", *words, flush=True)
    if subprocess.run(words, stdin=subprocess.DEVNULL).returncode != 0:
        sys.exit(f"error: failed: {' '.join(map(str, words))}")


def said_by(*words):
    return subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def apt_install(*packages):
    """Debian's packages start their service unless a file says no."""
    policy = pathlib.Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    try:
        installing("apt-get", "update", "-q")
        installing("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages)
    finally:
        if ours:
            policy.unlink()


def cargo_install(name, version):
    """Without the lock file of the crate, where the versions may be those that have been withdrawn since."""
    target = ["--root", INSTALLED, "--target-dir", INSTALLED / "build"]
    installing("cargo", "install", name, "--version", version, *target)


def debian_version(package):
    return said_by("dpkg-query", "-W", "-f", "${Version}", package).split(":")[-1].split("-")[0].split("+")[0]


class Kind:
    """What they have in common, where one does not say otherwise."""

    # Those that are chosen, and those that must be open before it is used.
    PORTS = LISTENS = ALL
    # What asks it to end in order.
    END = signal.SIGTERM
    # Seconds that it is given before, to store what it has acknowledged.
    SETTLES = 0
    # As in a URL, with the @.
    USER = ""

    def started(self, folder, ports):
        """It listens."""


class Mosquitto(Kind):
    name = "mosquitto"
    configured = "Eclipse mosquitto, from Debian, with `persistence true` and `max_queued_messages 0`."
    program = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")

    def is_here(self):
        return self.program is not None

    def install(self):
        apt_install("mosquitto")
        self.program = shutil.which("mosquitto", path="/usr/sbin")

    def version(self):
        return re.search(r"version (\S+)", said_by(self.program, "-h"))[1]

    def commands(self, folder, certificates, ports):
        tls = f"cafile {certificates}/ca.pem\ncertfile {certificates}/server.pem\nkeyfile {certificates}/server.key"
        config = folder / "mosquitto.conf"
        # As root it would become another user, who may not write here.
        config.write_text(
            f"user root\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\npersistence true\npersistence_location {folder}/\n"
            f"listener {ports['broker']} 127.0.0.1\n"
            f"listener {ports['tls']} 127.0.0.1\n{tls}\n"
            f"listener {ports['mutual-tls']} 127.0.0.1\n{tls}\nrequire_certificate true\n"
            f"listener {ports['ws']} 127.0.0.1\nprotocol websockets\n"
            f"listener {ports['wss']} 127.0.0.1\nprotocol websockets\n{tls}\n"
        )
        return [Command([self.program, "-c", config])]


class Aedes(Kind):
    name = "aedes"
    configured = "From npm, served by Node.js from `behaviour/tests/matrix/aedes/serve.mjs`, with its store in memory."
    sources = ROOT / "behaviour/tests/matrix/aedes"
    folder = INSTALLED / "aedes"

    def is_here(self):
        return shutil.which("node") is not None and all((self.folder / "node_modules" / name).is_dir() for name in ("aedes", "ws"))

    def install(self):
        if shutil.which("npm") is None:
            apt_install("nodejs", "npm")
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.sources / "package.json", self.folder)
        installing("npm", "install", "--prefix", self.folder, "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")

    def version(self):
        return json.loads((self.folder / "node_modules/aedes/package.json").read_text())["version"]

    def commands(self, folder, certificates, ports):
        for file in certificates.iterdir():
            shutil.copy(file, folder)
        chosen = [str(ports[name]) for name in ALL]
        return [Command(["node", self.sources / "serve.mjs", self.folder, folder, *chosen])]


class Amqtt(Kind):
    name = "amqtt"
    configured = (
        "In Python, from PyPI, into a virtual environment of its own; its store in memory. With a user name: it forgets the session of an anonymous client."
    )
    USER = "user:secret@"
    folder = INSTALLED / "amqtt"

    def is_here(self):
        return (self.folder / "bin/amqtt").is_file()

    def install(self):
        installing(sys.executable, "-m", "venv", self.folder)
        installing(self.folder / "bin/pip", "install", "--quiet", "amqtt==0.12.1")

    def version(self):
        return said_by(self.folder / "bin/amqtt", "--version").split()[-1]

    def commands(self, folder, certificates, ports):
        def listener(name, kind, port, tls, mutual=False):
            lines = f"  {name}:\n    type: {kind}\n    bind: 127.0.0.1:{port}\n"
            if tls:
                lines += f"    ssl: true\n    certfile: {certificates}/server.pem\n    keyfile: {certificates}/server.key\n"
            if mutual:
                lines += f"    cafile: {certificates}/ca.pem\n"
            return lines

        config = folder / "amqtt.yaml"
        config.write_text(
            "listeners:\n"
            + listener("default", "tcp", ports["broker"], False)
            + listener("tls", "tcp", ports["tls"], True)
            + listener("mutual-tls", "tcp", ports["mutual-tls"], True, True)
            + listener("ws", "ws", ports["ws"], False)
            + listener("wss", "ws", ports["wss"], True)
            + "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: false\n"
        )
        return [Command([self.folder / "bin/amqtt", "-c", config])]


class Ejabberd(Kind):
    name = "ejabberd"
    configured = "mod_mqtt in Erlang, from Debian; its store is Mnesia. Clients are `user@localhost`."
    USER = "user%40localhost:secret@"
    libraries = pathlib.Path("/usr/lib/x86_64-linux-gnu")

    def is_here(self):
        return shutil.which("erl") is not None and bool(list(self.libraries.glob("ejabberd-*")))

    def install(self):
        apt_install("ejabberd")

    def version(self):
        return debian_version("ejabberd")

    def commands(self, folder, certificates, ports):
        pem = folder / "server.pem"
        pem.write_text((certificates / "server.pem").read_text() + (certificates / "server.key").read_text())

        def listener(name, *more):
            return "\n    ".join([f"  -\n    port: {ports[name]}", 'ip: "127.0.0.1"', *more]) + "\n"

        websocket = ["module: ejabberd_http", "request_handlers:", "  /mqtt: mod_mqtt"]
        config = folder / "ejabberd.yml"
        config.write_text(
            "hosts:\n  - localhost\nloglevel: warning\n"
            f"certfiles:\n  - {pem}\nca_file: {certificates}/ca.pem\n"
            "auth_method: anonymous\nanonymous_protocol: login_anon\nallow_multiple_connections: true\n"
            "listen:\n"
            + listener("broker", "module: mod_mqtt")
            + listener("tls", "module: mod_mqtt", "tls: true")
            + listener("mutual-tls", "module: mod_mqtt", "tls: true", "tls_verify: true")
            + listener("ws", *websocket)
            + listener("wss", "tls: true", *websocket)
            + "modules:\n  mod_mqtt: {}\n"
        )
        environment = {
            "ERL_LIBS": str(self.libraries),
            "EJABBERD_CONFIG_PATH": str(config),
            "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
            "ERL_CRASH_DUMP": str(folder / "crash"),
            "HOME": str(folder),
        }
        # Without a node name, so without a port mapper.
        words = ["erl", "-noinput", "-mnesia", "dir", f'"{folder}/mnesia"', "-s", "ejabberd"]
        return [Command(words, environment)]


class Rabbitmq(Kind):
    name = "rabbitmq"
    configured = "In Erlang, from Debian, with the plugins `rabbitmq_mqtt` and `rabbitmq_web_mqtt`; its store is on disk. A node has one configuration of TLS for all MQTT ports."
    LISTENS = ["broker", "tls", "ws", "wss"]
    PORTS = LISTENS + ["amqp", "distribution", "mapper"]
    program = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

    def is_here(self):
        return self.program.exists()

    def install(self):
        apt_install("rabbitmq-server")

    def version(self):
        return debian_version("rabbitmq-server")

    def commands(self, folder, certificates, ports):
        tls = {"cacertfile": "ca.pem", "certfile": "server.pem", "keyfile": "server.key"}
        config = folder / "rabbitmq.conf"
        lines = [
            f"listeners.tcp.local = 127.0.0.1:{ports['amqp']}",
            f"mqtt.listeners.tcp.local = 127.0.0.1:{ports['broker']}",
            f"mqtt.listeners.ssl.local = 127.0.0.1:{ports['tls']}",
            "mqtt.allow_anonymous = true",
            "mqtt.tcp_listen_options.nodelay = true",
            "web_mqtt.ws_path = /mqtt",
            "web_mqtt.tcp.ip = 127.0.0.1",
            f"web_mqtt.tcp.port = {ports['ws']}",
            "web_mqtt.ssl.ip = 127.0.0.1",
            f"web_mqtt.ssl.port = {ports['wss']}",
        ]
        for option, file in tls.items():
            lines += [f"ssl_options.{option} = {certificates}/{file}", f"web_mqtt.ssl.{option} = {certificates}/{file}"]
        config.write_text("\n".join(lines) + "\n")
        plugins = folder / "enabled_plugins"
        plugins.write_text("[rabbitmq_mqtt,rabbitmq_web_mqtt].\n")
        (folder / "empty").touch()
        environment = {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(ports["mapper"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "mqtt@localhost",
            "RABBITMQ_DIST_PORT": str(ports["distribution"]),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "empty"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        # The port mapper is ours, and ends with it: else the node would leave one behind.
        mapper = Command(["epmd", "-port", str(ports["mapper"]), "-address", "127.0.0.1"])
        return [mapper, Command([self.program], environment)]


class Mqtt5(Kind):
    name = "mqtt5"
    configured = "In Rust, `mqttv5-cli`, installed by cargo; its store is in files, which it writes some time behind its acknowledgements, also where it is ended in order, so it is given three seconds before the restart. It has one way to speak TLS, so a second one listens for mutual TLS."
    program = INSTALLED / "bin/mqttv5"
    PORTS = ALL + ["second"]
    # By SIGTERM it ends at once.
    END = signal.SIGINT
    SETTLES = 3

    def is_here(self):
        return self.program.is_file()

    def install(self):
        cargo_install("mqttv5-cli", "0.29")

    def version(self):
        return said_by(self.program, "--version").split()[-1]

    def commands(self, folder, certificates, ports):
        def at(name):
            return f"127.0.0.1:{ports[name]}"

        tls = ["--tls-cert", certificates / "server.pem", "--tls-key", certificates / "server.key"]
        common = [self.program, "broker", "--non-interactive", "--allow-anonymous", "true"]
        first = [*common, "--host", at("broker"), "--storage-dir", folder / "store", *tls, "--tls-host", at("tls")]
        first += ["--ws-host", at("ws"), "--ws-tls-host", at("wss")]
        second = [*common, "--host", at("second"), "--storage-dir", folder / "second", *tls, "--tls-host", at("mutual-tls")]
        second += ["--tls-ca-cert", certificates / "ca.pem", "--tls-require-client-cert"]
        return [Command(first), Command(second)]


class Rumqttd(Kind):
    name = "rumqttd"
    configured = "In Rust, installed by cargo; its store in memory. Each version has a port of its own, and WebSocket is 3.1.1 alone."
    program = INSTALLED / "bin/rumqttd"
    PORTS = LISTENS = ALL + ["broker-5"]

    def is_here(self):
        return self.program.is_file()

    def install(self):
        cargo_install("rumqttd", "0.20")

    def version(self):
        return said_by(self.program, "--version").split()[-1]

    def commands(self, folder, certificates, ports):
        def server(kind, name, *more):
            limits = "connection_timeout_ms = 60000\nmax_payload_size = 33554432\nmax_inflight_count = 100\ndynamic_filters = true"
            lines = [f'[{kind}]\nname = "{name}"\nlisten = "127.0.0.1:{ports[name]}"\nnext_connection_delay_ms = 1']
            for line in more:
                lines.append(f"[{kind}.tls]\n{line}" if line is more[0] else line)
            return "\n".join([*lines, f"[{kind}.connections]\n{limits}"]) + "\n"

        tls = [f'certpath = "{certificates}/server.pem"', f'keypath = "{certificates}/server.key"']
        config = folder / "rumqttd.toml"
        config.write_text(
            "id = 0\n[router]\nid = 0\nmax_connections = 1000\nmax_outgoing_packet_count = 200\n"
            "max_segment_size = 104857600\nmax_segment_count = 10\n"
            + server("v4.1", "broker")
            + server("v4.2", "tls", *tls)
            + server("v4.3", "mutual-tls", *tls, f'capath = "{certificates}/ca.pem"')
            + server("v5.1", "broker-5")
            + server("ws.1", "ws")
            + server("ws.2", "wss", *tls)
        )
        return [Command([self.program, "--quiet", "--config", config])]


KINDS = {kind.name: kind for kind in [Mosquitto, Aedes, Amqtt, Ejabberd, Rabbitmq, Mqtt5, Rumqttd]}
