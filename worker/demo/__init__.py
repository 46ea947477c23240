"""`axkomet demo`: a day's orders through a simulated Komet and Axerrio, with faults, judged from outside at the end.

Everything of `axkomet up` runs, with the sandbox as both systems, in a home of its own. The worker knows nothing of
the faults. The closing figures are read from the sandbox, which knows nothing of our ledger.
"""
