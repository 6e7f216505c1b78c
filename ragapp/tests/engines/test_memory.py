import subprocess
import sys

# Arrays of many sizes come and go, and something small stays behind after each, as a text does.
HOLES = """
import sys
import numpy as np
from ragapp.engines.memory import tune_allocator

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 // 2**20

if sys.argv[1] == "tuned":
    tune_allocator()
before, kept = held(), []
for size in range(3, 12):
    np.ones(size * 2**20, np.uint8)
arrays = []
for size in range(3, 12):
    for _ in range(5):
        arrays.append(np.ones(size * 2**20, np.uint8))
        kept.append(np.ones(3000, np.uint8))
arrays.clear()
print(held() - before)
"""


def held_mib(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", HOLES, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def test_freed_tensors_go_back_whatever_stays_between_them():
    assert held_mib("tuned") < 20 < held_mib("as it is")
