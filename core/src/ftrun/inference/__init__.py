"""A run that has ended, computing again.

run         `ftrun.run` and `ftrun.open`: a run as an object
opened      its net with the weights of the best epoch
predictor   `ftrun.load`
predict     `ftrun predict`; `predicttable`, its CSV file
evaluation  `ftrun evaluate`
aligned     other data in the run's terms
"""
