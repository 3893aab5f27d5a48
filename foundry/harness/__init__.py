"""Jobs, worker processes and the device lock: whatever runs a kernel outside the judge's process.

1. `pool.py` leases a `WorkerProcess` (`process.py`) to one candidate at a time.
2. The judge sends it jobs (`jobs.py`) as frames (`frames.py`) and gets typed outcomes back.
3. `worker.py` is the program on the other side: builds, runs, times (`timing.py`), and gives
   bytes and raw samples, never a verdict. `baseline.py` is its MLX half.
4. `lock.py` lets builds share a device and keeps timing alone on it.
"""
