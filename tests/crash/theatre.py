"""Where processes are killed and their successors are watched: a warm process, a folder, the state it starts from."""

from __future__ import annotations

import collections
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DEAD = 9
SAME = ("rows", "images", "referenced", "receipts", "states", "intents", "failures", "leases")


class Company:
    """The warm process: it is told what to act and answers how that ended."""

    def __init__(self, root: Path) -> None:
        self._log = (root / "log.txt").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("scene.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        assert line, f"the warm process died: {self.words()}"
        return json.loads(line)

    def words(self) -> str:
        self._log.flush()
        self._log.seek(0)
        return self._log.read()[-3000:]

    def tell(self, order: dict[str, Any]) -> dict[str, Any]:
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()
        self._log.close()


class Theatre:
    """Acts in ``live``, each in a process of its own; `rewind` brings back the state that `keep` kept."""

    def __init__(self, root: Path, company: Company) -> None:
        self.live, self._kept, self._dump = root / "live", root / "kept", root / "dump.json"
        self._company = company
        self.words = company.words

    def act(self, **order: Any) -> dict[str, Any]:
        """Run one `Order`; return its exit ``code`` and ``seconds``."""
        return self._company.tell({"root": str(self.live), "dump": str(self._dump), **order})

    def finish(self, **order: Any) -> dict[str, Any]:
        """Run to the end, and return what is there then."""
        self._dump.unlink(missing_ok=True)
        ended = self.act(**order)
        assert ended["code"] == 0, f"the undisturbed run ended with {ended['code']}: {self.words()}"
        return json.loads(self._dump.read_text()) | {"seconds": ended["seconds"]}

    def keep(self) -> None:
        shutil.copytree(self.live, self._kept)

    def rewind(self) -> None:
        shutil.rmtree(self.live, ignore_errors=True)
        shutil.copytree(self._kept, self.live)

    def parsers(self, patience: float = 10.0) -> list[int]:
        """Return the parser processes that are still there after ``patience`` seconds."""
        until = time.monotonic() + patience
        while (found := list(_running(str(self.live)))) and time.monotonic() < until:
            time.sleep(0.05)
        return found


def _running(mark: str) -> Any:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "cmdline").read_bytes():
                yield int(folder.name)
        except OSError:  # it has just ended
            continue


def assert_whole(found: dict[str, Any]) -> None:
    """Hold what is there against itself: every receipt's rows are there, and no others."""
    rows = collections.Counter((row["document"], row["generation"]) for row in found["rows"].values())
    assert rows == {(r["document"], r["generation"]): r["rows"] for r in found["receipts"]}
    assert found["intents"] == found["failures"] == found["before"] == []
    assert set(found["leases"].values()) <= {None}
    assert {state[0] for state in found["states"].values()} == {"current"}
    assert set(found["referenced"]) <= set(found["images"].values())


def assert_same(found: dict[str, Any], undisturbed: dict[str, Any], after: str) -> None:
    """Hold what is there after a death and another run against a run that nothing disturbed."""
    assert found["before"] == [], f"after {after} a receipt vouched for rows that were not there"
    for what in SAME:
        assert found[what] == undisturbed[what], f"after {after}: {what} differ"
