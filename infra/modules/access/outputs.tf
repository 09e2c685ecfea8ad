output "table" {
  description = "Every right that is given, from the resources that give it: `<kind> <target>: <role> <member>[ if <condition>]`."
  value = sort(concat(
    [for g in google_project_iam_member.project : join("", concat(["project ${g.project}: ${g.role} ${g.member}"], [for c in g.condition : " if ${c.title}"]))],
    [for g in google_pubsub_topic_iam_member.topic : "topic ${g.topic}: ${g.role} ${g.member}"],
    [for g in google_pubsub_subscription_iam_member.subscription : "subscription ${g.subscription}: ${g.role} ${g.member}"],
    [for g in google_storage_bucket_iam_member.bucket : join("", concat(["bucket ${g.bucket}: ${g.role} ${g.member}"], [for c in g.condition : " if ${c.title}"]))],
    [for g in google_secret_manager_secret_iam_member.secret : "secret ${g.secret_id}: ${g.role} ${g.member}"],
    [for g in google_cloud_run_v2_service_iam_member.function : "function ${g.name}: ${g.role} ${g.member}"],
    [for g in google_artifact_registry_repository_iam_member.repository : "repository ${g.repository}: ${g.role} ${g.member}"],
    [for g in google_service_account_iam_member.account : "account ${basename(g.service_account_id)}: ${g.role} ${g.member}"],
  ))
}

output "conditions" {
  description = "Expressions of the conditions by title."
  value = {
    for c in concat(
      flatten([for g in google_project_iam_member.project : g.condition]),
      flatten([for g in google_storage_bucket_iam_member.bucket : g.condition]),
    ) : c.title => c.expression...
  }
}

output "roles" {
  description = "Permissions of the roles of our own, by id."
  value       = { for id, role in google_project_iam_custom_role.role : id => toset(role.permissions) }
}
