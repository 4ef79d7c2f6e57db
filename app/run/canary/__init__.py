"""`telemock run --canary`: plants known values where programs ask who and where they are, and tells
which of them was sent, in which field, and how. The search itself is `app.contract.canary`.

`facts` reads what this machine answers, `git` a repository, `plant` chooses the values, `kernel`
puts them in the command's way, `told` sums up what the records say.
"""
