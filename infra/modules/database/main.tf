# Firestore: the database, its indexes, and which fields have none or a time to live. All of the latter from
# firestore.indexes.json, which `firebase deploy` and the emulator read as well.

locals {
  file = jsondecode(var.indexes)

  indexes = {
    for index in local.file.indexes :
    join(" ", concat([index.collectionGroup], [for f in index.fields : "${f.fieldPath} ${try(f.order, f.arrayConfig)}"])) => index
  }
  fields = { for field in local.file.fieldOverrides : "${field.collectionGroup} ${field.fieldPath}" => field }
}

resource "google_firestore_database" "database" {
  project     = var.project
  name        = "(default)"
  location_id = var.location
  type        = "FIRESTORE_NATIVE"

  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.protected ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.protected ? "ABANDON" : "DELETE"
}

resource "google_firestore_index" "index" {
  for_each = local.indexes

  project     = var.project
  database    = google_firestore_database.database.name
  collection  = each.value.collectionGroup
  query_scope = each.value.queryScope

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path   = fields.value.fieldPath
      order        = try(fields.value.order, null)
      array_config = try(fields.value.arrayConfig, null)
    }
  }
}

resource "google_firestore_field" "field" {
  for_each = local.fields

  project    = var.project
  database   = google_firestore_database.database.name
  collection = each.value.collectionGroup
  field      = each.value.fieldPath

  # Without indexes in it: the field has none.
  index_config {
    dynamic "indexes" {
      for_each = each.value.indexes

      content {
        query_scope  = try(indexes.value.queryScope, "COLLECTION")
        order        = try(indexes.value.order, null)
        array_config = try(indexes.value.arrayConfig, null)
      }
    }
  }

  dynamic "ttl_config" {
    for_each = try(each.value.ttl, false) ? [1] : []

    content {}
  }
}

resource "google_firestore_backup_schedule" "daily" {
  project   = var.project
  database  = google_firestore_database.database.name
  retention = "${var.backup_days * 24 * 60 * 60}s"

  daily_recurrence {}
}
