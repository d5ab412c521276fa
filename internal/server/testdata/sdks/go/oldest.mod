module sdk

go 1.26

require github.com/getsentry/sentry-go v0.11.0
