from nnlc.analysis.predictors import FitFailure, Prediction


class Halfway:
    decides = True  # it may set `stop`

    def __init__(self, share=0.5):
        self.share = share

    def predict(self, prefix, epoch):
        # Arrays: prefix.epochs, prefix.val_accuracy_percent, prefix.train_loss, prefix.val_loss
        if len(prefix.epochs) < 4:
            return FitFailure("fewer than four points")
        last = prefix.val_accuracy_percent[-1]
        return Prediction(last + self.share * (100 - last), uncertainty=5.0, stop=last > 80)
