"""Pictures of many learning curves, for papers and slides: the only matplotlib.

Each kind of picture is a module that fills a figure; `plot` chooses among them and writes the file.
"""
