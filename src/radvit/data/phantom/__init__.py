"""The synthetic chest radiograph cohort."""
