"""The run spec: read, checked as a whole, every mistake with its place and the nearest name.

runspec    the model that the catalogue's parts are put into
check      from JSON to a checked spec, and parts that do not go together
specfile   the file, and --set; `notjson`, what is wrong with one that is no JSON
othernames what other tools call the same things
"""
