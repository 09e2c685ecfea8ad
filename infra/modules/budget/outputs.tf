output "budget" {
  description = "The budget."
  value       = google_billing_budget.budget
}
