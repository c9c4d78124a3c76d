"""runstore beside what one would use instead, on the same work in the same run.

`python -m benchmarks` runs it; README.md says what is measured and what is not.
"""
