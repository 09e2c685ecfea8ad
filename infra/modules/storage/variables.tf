variable "project" {
  description = "Id of the project."
  type        = string
}

variable "name" {
  description = "Name of the bucket, unique in the world."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.name))
    error_message = "The name of a bucket has 3 to 63 lower-case letters, digits, hyphens, dots and underscores."
  }
}

variable "region" {
  description = "Region of the bucket."
  type        = string
}

variable "colder_after_days" {
  description = "Age in days at which objects go to a colder storage class, by class."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for class, days in var.colder_after_days : contains(["NEARLINE", "COLDLINE", "ARCHIVE"], class) && days > 0])
    error_message = "Colder classes are NEARLINE, COLDLINE and ARCHIVE, after a day or more."
  }
}

variable "delete_after_days" {
  description = "Age in days at which objects are deleted; null for never."
  type        = number
  default     = null
}

variable "deleted_sooner" {
  description = "Age in days at which some objects are deleted, by what their names begin with."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for prefix, days in var.deleted_sooner : prefix != "" && days > 0])
    error_message = "By the begin of their names, after a day or more."
  }
}

variable "protected" {
  description = "Whether the bucket can only be deleted once it is empty."
  type        = bool
}

variable "read_by_pages" {
  description = "Whether pages in browsers may read what a signed address shows them."
  type        = bool
  default     = false
}
