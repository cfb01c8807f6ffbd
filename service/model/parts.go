package model

import "strings"

// losses are the classes in which scikit-learn keeps what a model was fitted with: loss functions and links. Where a
// prediction depends on one, its builder looks at the name.
var losses = map[string]string{
	"sklearn._loss.loss": "HalfSquaredError AbsoluteError PinballLoss HuberLoss HalfPoissonLoss HalfGammaLoss " +
		"HalfTweedieLoss HalfTweedieLossIdentity HalfBinomialLoss HalfMultinomialLoss ExponentialLoss",
	"sklearn._loss.link":             "Interval IdentityLink LogLink LogitLink HalfLogitLink MultinomialLogit",
	"sklearn.linear_model._glm.link": "IdentityLink LogLink LogitLink",
	"sklearn._loss.glm_distribution": "DistributionBoundary TweedieDistribution NormalDistribution " +
		"PoissonDistribution GammaDistribution InverseGaussianDistribution",
	"sklearn.ensemble._gb_losses": "LeastSquaresError LeastAbsoluteError HuberLossFunction QuantileLossFunction " +
		"BinomialDeviance MultinomialDeviance ExponentialLoss",
	"sklearn.ensemble._hist_gradient_boosting.loss": "LeastSquares LeastAbsoluteDeviation Poisson " +
		"BinaryCrossEntropy CategoricalCrossEntropy",
	"sklearn.linear_model._sgd_fast": "Hinge SquaredHinge Log ModifiedHuber SquaredLoss Huber EpsilonInsensitive " +
		"SquaredEpsilonInsensitive",
	"sklearn.preprocessing._label": "LabelBinarizer LabelEncoder",
}

func partEntries() []entry {
	var out []entry
	for module, classes := range losses {
		out = append(out, in(module, nil, strings.Fields(classes)...)...)
	}
	return out
}
