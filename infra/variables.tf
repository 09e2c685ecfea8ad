variable "project" {
  description = "Id of the project to deploy to. It exists, and billing is on."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "The id of a project has 6 to 30 lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "region" {
  description = "Where everything is, the database included: that cannot be moved later. firebase.json names it too."
  type        = string
  default     = "europe-west1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is named as europe-west1."
  }
}

variable "bundle" {
  description = "Path of the zip with the functions, as `python -m deploy.bundle` makes it."
  type        = string
  default     = "../build/functions.zip"
}

variable "revision" {
  description = "Revision of the code, as /api/status shows it."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{0,64}$", var.revision))
    error_message = "A revision has up to 64 letters, digits, dots, hyphens and underscores."
  }
}

variable "feed" {
  description = "Feed id: f1, or kart-<circuit>."
  type        = string
  default     = "f1"

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,62}$", var.feed))
    error_message = "A feed id has lower-case letters, digits and hyphens."
  }
}

variable "polled_by" {
  description = "Who polls the feed: `cloud` (the function poller) or `collector` (a process of yours outside Google Cloud; the poller's jobs are then paused)."
  type        = string
  default     = "cloud"

  validation {
    condition     = contains(["cloud", "collector"], var.polled_by)
    error_message = "Either cloud or collector."
  }
}

variable "source_of" {
  description = "What the poller reads, PITWALL_SOURCE: f1 or openf1. Empty: nothing."
  type        = string
  default     = "f1"

  validation {
    condition     = contains(["", "f1", "openf1"], var.source_of)
    error_message = "In the cloud there are the sources f1 and openf1."
  }
}

variable "fallback" {
  description = "What the poller reads while F1 refuses Google's address, PITWALL_FALLBACK: openf1, or empty for nothing."
  type        = string
  default     = "openf1"

  validation {
    condition     = contains(["", "openf1"], var.fallback)
    error_message = "Only openf1 can stand in."
  }
}

variable "openf1_username" {
  description = "Account of OpenF1; its password is in the secret openf1-password. Empty: none."
  type        = string
  default     = ""
}

variable "secrets_with_values" {
  description = "Which of the secrets have a value: only those are given to functions, as a function does not start with a secret that has none."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.secrets_with_values, ["f1tv-token", "openf1-token", "openf1-password", "rate-limit"])) == 0
    error_message = "The secrets are f1tv-token, openf1-token, openf1-password and rate-limit."
  }
}

variable "public" {
  description = "Whether everybody may read sessions and seasons over the API, PITWALL_PUBLIC. The security rules have to say the same."
  type        = bool
  default     = true
}

variable "app_check" {
  description = "Whether API and Firestore answer apps only with a token of Firebase App Check. The apps have to be registered before."
  type        = bool
  default     = false
}

variable "economy" {
  description = "How much is spent on viewers: off, slow or closed. Terraform releases the closed security rules for closed; `python -m pitwall.pipeline.economy` sets the mode itself."
  type        = string
  default     = "off"

  validation {
    condition     = contains(["off", "slow", "closed"], var.economy)
    error_message = "The economy is off, slow or closed."
  }
}

variable "cors_origins" {
  description = "Web origins whose pages may read the API, PITWALL_CORS_ORIGINS: `https://app.example`, or `*` for all."
  type        = list(string)
  default     = []

  validation {
    condition     = var.cors_origins == tolist(["*"]) || alltrue([for origin in var.cors_origins : can(regex("^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$", origin))])
    error_message = "An origin is https://host or https://host:port without a path; or only `*`."
  }
}

variable "settings" {
  description = "Other PITWALL_ variables of functions/pitwall/settings.py that are to have another value than their default. No secrets: they would be in the state."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.settings), ["PITWALL_F1_TOKEN", "PITWALL_OPENF1_TOKEN", "PITWALL_OPENF1_PASSWORD", "PITWALL_RATE_LIMIT_SECRET"])) == 0
    error_message = "Secrets are kept in Secret Manager: name them in secrets_with_values."
  }

  validation {
    condition     = alltrue([for name in keys(var.settings) : contains(keys(local.defaults), name)])
    error_message = "There is no such setting, or it has a variable of its own here."
  }
}

variable "poller_max_instances" {
  description = "Instances of the poller at most: the holder, its standby, and one that comes while another leaves."
  type        = number
  default     = 3

  validation {
    condition     = var.poller_max_instances >= 3 && var.poller_max_instances <= 20
    error_message = "Three at least, or no standby can come while a feed changes hands."
  }
}

variable "api_instances" {
  description = "Instances of the API at least and at most. At most is what a crowd behind no CDN can cost."
  type        = object({ min = number, max = number })
  default     = { min = 0, max = 10 }
}

variable "raw_retention_days" {
  description = "Days that the feed's raw messages are kept."
  type        = number
  default     = 730

  validation {
    condition     = var.raw_retention_days >= 30
    error_message = "30 days or more: a session is played again from them."
  }
}

variable "karts" {
  description = "Whether kart tracks can be polled: two more jobs, that start the function karts every minute."
  type        = bool
  default     = false
}

variable "kart_retention_days" {
  description = "Days that what is stored of a kart track's sessions is kept, in Firestore and in the raw bucket, PITWALL_KART_RETENTION_DAYS. 0: as all else."
  type        = number
  default     = 90

  validation {
    condition     = var.kart_retention_days >= 0 && floor(var.kart_retention_days) == var.kart_retention_days
    error_message = "A whole number of days, or 0."
  }
}

variable "backup_days" {
  description = "Days that a daily backup of the database is kept, beside the seven of point-in-time recovery."
  type        = number
  default     = 7
}

variable "protected" {
  description = "Whether database and buckets outlive a mistake: false only to take the deployment down with its data."
  type        = bool
  default     = true
}

variable "billing_account" {
  description = "Billing account of the project, as 012345-6789AB-CDEF01, for the budget. Empty: no budget, and nothing that notices costs."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6})?$", var.billing_account))
    error_message = "A billing account is named as 012345-6789AB-CDEF01."
  }
}

variable "budget" {
  description = "Budget of a month, in the billing account's currency."
  type        = number
  default     = 20

  validation {
    condition     = var.budget >= 1 && floor(var.budget) == var.budget
    error_message = "A whole amount, 1 or more."
  }
}

variable "alert_emails" {
  description = "Addresses that alerts are sent to."
  type        = set(string)
  default     = []
}
