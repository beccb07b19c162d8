"""What `mutmut run` found, file by file: how many mutants there are and were killed.

python tests/mutation_score.py [FOLDER]: FOLDER holds `mutants`. A mutant that makes a
test wait too long counts as killed; one that no test reaches does not. The survivors
are listed with what was changed in them (`mutmut show NAME` says it, too).
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

KILLED = {1, 3, 24, 36, -24, -9, -11, 152, 255}  # failed, crashed, or out of time
UNSEEN = {None, 2}  # not run yet, or interrupted


def main(folder: Path = Path()) -> None:
    total, survivors = Counter[str](), list[str]()
    print("| file | mutants | killed | of them |\n|---|---|---|---|")
    for meta in sorted((folder / "mutants").rglob("*.py.meta")):
        codes = json.loads(meta.read_text())["exit_code_by_key"]
        seen = {name: code for name, code in codes.items() if code not in UNSEEN}
        if not codes:
            continue
        killed = sum(code in KILLED for code in seen.values())
        survivors += [name for name, code in seen.items() if code not in KILLED]
        total += Counter(
            mutants=len(seen), killed=killed, waiting=len(codes) - len(seen)
        )
        name = str(meta.relative_to(folder / "mutants")).removesuffix(".meta")
        share = f"{killed / max(1, len(seen)):.1%}"
        print(f"| `{name}` | {len(seen)} | {killed} | {share} |")
    share = total["killed"] / max(1, total["mutants"])
    print(f"| all | {total['mutants']} | {total['killed']} | {share:.1%} |")
    if total["waiting"]:
        print(f"{total['waiting']} were not run")
    for name in survivors:
        show = [sys.executable, "-m", "mutmut", "show", name]
        shown = subprocess.run(show, cwd=folder, capture_output=True, text=True).stdout
        changed = [line for line in shown.splitlines() if line[:1] in "-+"]
        print(name, *changed[2:], sep="\n    ")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
