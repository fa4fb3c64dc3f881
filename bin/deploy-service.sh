#!/bin/sh
# Deploys what a service lacks, and nothing where nothing is missing: bin/deploy-service.sh SERVICE
exec deployment-drift deploy "$@"
