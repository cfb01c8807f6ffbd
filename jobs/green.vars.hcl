# The demo's model as the green release, for `nomad job run` from the root of a checkout:
#
#     nomad job run -var-file=jobs/green.vars.hcl jobs/inference.nomad.hcl
#
# For a model of your own change all of these. The digest is what `sha256sum <file>` prints, after "sha256:".
# Any variable can also come from the environment, as NOMAD_VAR_<name>.
model         = "iris"
model_version = "v1.1.0"
artifact      = "test/testdata/iris-v1.1.0.pkl"
digest        = "sha256:725a786dabec704820a53b92884ef720f31d7d42d189ad04de7dd94e3642a158"
color         = "green"
