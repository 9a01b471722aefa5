"""What a result has to beat: guessing, simple measurements, and encoders without SimCLR."""

from phenotrain.baselines.find import Baselines

__all__ = ["Baselines"]
