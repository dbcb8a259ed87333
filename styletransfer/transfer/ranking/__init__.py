"""Choose among candidates, by measures of the ranker's own.

They are apart from the judges that report style accuracy. Begin with
:mod:`styletransfer.transfer.ranking.choice`; a new measure is one more row of
:data:`styletransfer.transfer.ranking.rank.MEASURES`.
"""
