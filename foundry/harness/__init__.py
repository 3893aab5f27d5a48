"""Jobs, worker processes and the device lock: whatever runs a kernel outside the judge's process.

1. `processes/pool.py` leases a `WorkerProcess` (`processes/process.py`) to one candidate at a time.
2. The judge sends it jobs (`jobs.py`) as frames (`frames.py`) and gets typed outcomes back.
3. `processes/worker.py` is the program on the other side: builds, runs, times, and gives bytes and
   raw samples, never a verdict. `measuring/` holds what it times and counts.
4. `processes/lock.py` lets builds share a device and keeps timing alone on it.
5. `sandbox/` confines the worker.
"""
