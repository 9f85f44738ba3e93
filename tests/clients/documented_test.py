"""The examples of docs/clients.md, as they stand there, but for the address.

documented_test.py BIN_FOLDER
"""

import platform
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scenes import CLIENTS, MODEL, home
from support import PATIENCE_SECONDS, Mock, main, running, routed

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
ADDRESS = "http://127.0.0.1:8080"
OWN = ["gpt-4o", "gpt-5.4", "gpt-5.4-mini"]
UNTRIED = {"aider", "Open WebUI"}
# Its packages are programs for one kind of machine.
if platform.machine() != "x86_64":
    UNTRIED.add("opencode")
AT_ONCE = 3


def examples():
    """The language, the heading and the text of each example."""
    heading, text = "", PAGE.read_text()
    for found in re.finditer(r"^## ([^\n]+)$|^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        heading = found[1] or heading
        if found[2]:
            yield found[2], heading, found[3]


def command_of(client):
    """The command that stands below a client's configuration."""
    [command] = [text for *place, text in examples() if place == ["sh", client]]
    return command


def aliases():
    """The lines of the page's configuration that give a provider Anthropic's names."""
    [file] = [text for language, _, text in examples() if language == "yaml"]
    lines = file[file.index("    model_aliases:") :].splitlines()
    return [line.removeprefix("    ") for line in lines]


def providers():
    """One of each dialect; the one that speaks chat comes first, and has all of the names."""
    chat = Mock("gpt", fields=aliases(), models=OWN, strict=True)
    return chat, Mock("claude", dialect="anthropic", models=[MODEL])


def run(command, url, **file):
    """Runs a command in a folder with a home of its own; what it printed."""
    more = {"DISABLE_TELEMETRY": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    with home(**more) as (folder, environment):
        (folder / "node_modules").symlink_to(CLIENTS / "node_modules")
        programs = [CLIENTS / "node_modules" / ".bin", environment["PATH"]]
        environment["PATH"] = ":".join(map(str, programs))
        for name, text in file.items():
            path = folder / name.replace("_", ".")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.replace(ADDRESS, url))
        ended = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE_SECONDS,
        )
    assert ended.returncode == 0, f"{command}: {ended.stdout}{ended.stderr}"
    return ended.stdout


def run_example(language, text, url):
    """Runs an example in the way that its language is run."""
    match language:
        case "python":
            return run([CLIENTS / "venv" / "bin" / "python", "it.py"], url, it_py=text)
        case "js":
            return run(["node", "it.mjs"], url, it_mjs=text)
        case "sh":
            return run(["bash", "it.sh"], url, it_sh=text)
        case "toml":
            return run(["bash", "-c", command_of("Codex")], url, **{".codex/config.toml": text})
        case "json":
            return run([*OPENCODE, "run", "Say hello."], url, opencode_json=text)


OPENCODE = [CLIENTS / "node_modules" / "opencode-linux-x64-baseline" / "bin" / "opencode"]


def check(example, url):
    """Asserts that an example prints what a mock says."""
    language, heading, text = example
    assert ADDRESS in text, (heading, language)
    said = run_example(language, text, url)
    assert re.search(r"mock (gpt|claude): ", said), (heading, language, said)


@routed
def every_example_is_answered():
    # Codex finds the address in its configuration, and the command is run with that.
    untried = UNTRIED | {("sh", "Codex")}
    tried = [one for one in examples() if one[0] != "yaml" and not untried & {one[1], one[:2]}]
    assert len(tried) == 19 - len(UNTRIED), tried
    # Most of the time goes into the start of the clients.
    with running(*providers()) as router, ThreadPoolExecutor(AT_ONCE) as pool:
        for end in [pool.submit(check, example, router.url) for example in tried]:
            end.result()
        lines = router.requests(len(tried))
        assert len(lines) >= len(tried), lines
        assert {line["status"] for line in lines} == {"200"}, lines


if __name__ == "__main__":
    sys.exit(main())
