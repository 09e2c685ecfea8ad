output "rulesets" {
  description = "Full names of the rulesets, as PITWALL_RULES_OPEN and PITWALL_RULES_CLOSED take them."
  value       = { for name, ruleset in google_firebaserules_ruleset.ruleset : name => "projects/${var.project}/rulesets/${ruleset.name}" }
}

output "contents" {
  description = "Text of the rules that were uploaded, by name."
  value       = { for name, ruleset in google_firebaserules_ruleset.ruleset : name => ruleset.source[0].files[0].content }
}

output "release" {
  description = "The release that Firestore goes by."
  value       = google_firebaserules_release.firestore
}
