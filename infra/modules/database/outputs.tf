output "database" {
  description = "The database."
  value       = google_firestore_database.database
}

output "indexes" {
  description = "Indexes over several fields."
  value       = google_firestore_index.index
}

output "fields" {
  description = "Fields with indexes of their own, none, or a time to live."
  value       = google_firestore_field.field
}

output "backups" {
  description = "When backups are made and how long they are kept."
  value       = google_firestore_backup_schedule.daily
}
