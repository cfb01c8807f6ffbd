// Package imports holds the test of the import direction: which package of Weir may depend on which.
package imports
