"""Well profiles: batch correction, activity, batch effect and similarity; `phenotrain profile`.

Import `phenotrain.profiles.findings` and its neighbours directly: the command line loads this package for `--help`.
"""
