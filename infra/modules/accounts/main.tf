# Service accounts, without keys and without rights: those are given by the module `access`.

resource "google_service_account" "account" {
  for_each = var.accounts

  project      = var.project
  account_id   = each.key
  display_name = each.value
}
