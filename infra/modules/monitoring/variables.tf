variable "project" {
  description = "Id of the project."
  type        = string
}

variable "functions" {
  description = "Names of the functions, whose lines are in the log."
  type        = set(string)
}

variable "api_host" {
  description = "Host name of the API's run.app address."
  type        = string
}

variable "emails" {
  description = "Addresses that alerts are sent to."
  type        = set(string)

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@ ]+@[^@ ]+$", email))])
    error_message = "An e-mail address has an @ in it."
  }
}

variable "writer_lag_s" {
  description = "Age in seconds of the oldest message that is not stored, above which there is an alert."
  type        = number
  default     = 30

  validation {
    condition     = var.writer_lag_s >= 5
    error_message = "5 seconds or more: Pub/Sub measures it about once a minute."
  }
}

variable "error_percent" {
  description = "Percentage of a function's answers that may be 5xx for five minutes."
  type        = number
  default     = 5

  validation {
    condition     = var.error_percent > 0 && var.error_percent < 100
    error_message = "Between 0 and 100."
  }
}
