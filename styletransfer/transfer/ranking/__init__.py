"""Which candidate is the best: measures of the ranker's own, apart from the judges that report
style accuracy.

A new measure is one more row in :mod:`styletransfer.transfer.ranking.rank`.
"""
