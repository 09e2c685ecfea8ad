output "emails" {
  description = "E-mail address of each service account, by its id; known before it exists."
  value       = { for id, account in google_service_account.account : id => "${account.account_id}@${account.project}.iam.gserviceaccount.com" }
}
