"""`report.html`: what a run was, on one page that needs nothing else. What computes needs torch, jinja2 and matplotlib.

write       a run's report, at its end and by `ftrun report`
metrics     the metrics of results.json, with intervals
  intervals   95 % intervals
classes     a target with classes
labels      a target with several labels
values      a target with values
  per_class   precision, recall and F1 of each class or label
  confusion   which class is taken for which
  calibration whether a confidence of 0.8 is right in 80 of 100 cases
  examples    single samples, and their pictures
history     the epochs, and the learning rate
plots       the drawings
page        all of it, put into the template
"""
