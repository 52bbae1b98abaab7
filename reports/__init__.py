"""What is shown: reads run records, and makes the report, the merged record, the summary and the difference.

Nothing here imports the suite: a run record is the only thing that the two halves share.
"""
