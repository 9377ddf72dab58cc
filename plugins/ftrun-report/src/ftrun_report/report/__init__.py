"""`report.html`: what a run was, on one page that needs nothing else. What computes needs torch, jinja2 and matplotlib.

write       a run's report, at its end and by `ftrun report`
record      what the run folder says
figures     the figures of results.json, with intervals
  intervals   95 % intervals
classes     of a target with classes
labels      of a target with several labels
values      of a target with values
  byname      precision, recall and F1 of each class or label
  confusion   which class is taken for which
  calibration whether confidence is what it says
  examples    single samples, and their pictures
history     the epochs, and the learning rate
plots       what is drawn
page        all of it, put into the template
"""
