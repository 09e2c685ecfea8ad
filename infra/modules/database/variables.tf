variable "project" {
  description = "Id of the project."
  type        = string
}

variable "location" {
  description = "Where the database is: a region, or eur3 or nam5. Cannot be changed."
  type        = string
}

variable "indexes" {
  description = "Text of firestore.indexes.json."
  type        = string

  validation {
    condition     = can(jsondecode(var.indexes).indexes) && can(jsondecode(var.indexes).fieldOverrides)
    error_message = "It is to be JSON with `indexes` and `fieldOverrides`."
  }
}

variable "protected" {
  description = "Whether the database can be deleted by nobody, and is left where it is when the deployment is taken down."
  type        = bool
}

variable "backup_days" {
  description = "Days that a daily backup is kept."
  type        = number

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 98 && floor(var.backup_days) == var.backup_days
    error_message = "Backups are kept from 1 to 98 days."
  }
}
