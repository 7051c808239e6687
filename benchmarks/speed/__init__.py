"""Speed beside the tools that people would otherwise use: ``python -m benchmarks.speed [ROW ...]``.

Every contender is a process of its own; ours and theirs take turns, seconds each, on the same data, shape of model
and batch. A sample counts only where the machine did next to nothing else meanwhile.
"""
