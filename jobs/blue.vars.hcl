# The demo's model as the blue release, for `nomad job run` from the root of a checkout:
#
#     nomad job run -var-file=jobs/blue.vars.hcl jobs/inference.nomad.hcl
#
# For a model of your own change all of these. The digest is what `sha256sum <file>` prints, after "sha256:".
# Any variable can also come from the environment, as NOMAD_VAR_<name>.
model         = "iris"
model_version = "v1.0.0"
artifact      = "test/testdata/iris-v1.0.0.pkl"
digest        = "sha256:58cc90794f7f1c1b5780cfe87a031559218b3e91036e558596bd02dd56cef29a"
color         = "blue"
