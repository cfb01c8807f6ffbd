package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/weirhq/weir/service/pickle"
)

// Refusal says of classes of scikit-learn why no model with them is served, and what to do.
type Refusal struct {
	Classes []string
	Why, Do string
}

// Refusals are all classes of scikit-learn's newest version that are not read.
func Refusals() []Refusal {
	var out []Refusal
	for _, r := range [][3]string{
		{
			"AgglomerativeClustering DBSCAN HDBSCAN OPTICS SpectralClustering SpectralBiclustering SpectralCoclustering",
			"they label the rows that they are fitted on, and have no answer for another one",
			"fit a classifier, such as KNeighborsClassifier, on those labels",
		},
		{
			"TSNE MDS ClassicalMDS SpectralEmbedding",
			"they place the rows that they are fitted on, and have no answer for another one", "use PCA, KernelPCA or Nystroem",
		},
		{
			"Isomap LocallyLinearEmbedding NeighborhoodComponentsAnalysis", "their maps of new rows are not built yet",
			"use KernelPCA or LinearDiscriminantAnalysis",
		},
		{
			"NMF MiniBatchNMF DictionaryLearning MiniBatchDictionaryLearning SparseCoder LatentDirichletAllocation",
			"each row is the result of an iteration, which ends at another number for another rounding",
			"use TruncatedSVD, PCA or SparsePCA",
		},
		{
			"IterativeImputer", "it runs an estimator for each column and round", "use KNNImputer or SimpleImputer",
		},
		{
			"BernoulliRBM RandomTreesEmbedding FeatureAgglomeration PLSSVD", "they are not built yet",
			"use PCA, or for trees the forest itself",
		},
		{
			"DictVectorizer FeatureHasher PatchExtractor", "they take other things than rows of a table",
			"make the table before, and use OneHotEncoder in the pipeline",
		},
		{
			"MultiLabelBinarizer NearestNeighbors KNeighborsTransformer RadiusNeighborsTransformer KernelDensity",
			"their answer is neither a number nor a class for each row",
			"write the estimator that uses it: KNeighborsClassifier, KNeighborsRegressor or OneVsRestClassifier",
		},
		{
			"EmpiricalCovariance ShrunkCovariance LedoitWolf OAS MinCovDet GraphicalLasso GraphicalLassoCV",
			"they estimate a matrix, and predict nothing", "use EllipticEnvelope to find outliers",
		},
	} {
		out = append(out, Refusal{strings.Fields(r[0]), r[1], r[2]})
	}
	return out
}

// advised adds to the error about refused names what to do about those of scikit-learn.
func advised(err error) error {
	var refused *pickle.RefusedError
	if !errors.As(err, &refused) {
		return err
	}
	for _, name := range refused.Globals {
		class := name[strings.LastIndex(name, ".")+1:]
		for _, r := range Refusals() {
			if strings.HasPrefix(name, "sklearn.") && slices.Contains(r.Classes, class) {
				return fmt.Errorf("%w; %s is not served, because %s: %s", err, class, r.Why, r.Do)
			}
		}
	}
	return err
}
