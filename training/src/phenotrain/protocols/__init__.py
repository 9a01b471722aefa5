"""`phenotrain splits` and `phenotrain evaluate`: what a protocol holds out, every fold learned, all of them scored."""
