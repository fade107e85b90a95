"""Scripts that measure and print a table; never asserted by a test. Run one with `python3 -m tests.benchmarks.NAME`."""
