variable "project" {
  description = "Id of the project."
  type        = string
}

variable "project_number" {
  description = "Number of the project."
  type        = string
}

variable "billing_account" {
  description = "Billing account that pays for the project, as 012345-6789AB-CDEF01."
  type        = string
}

variable "amount" {
  description = "Amount a month, in the billing account's currency."
  type        = number
}

variable "tell_at" {
  description = "Parts of the amount at which Cloud Billing tells by e-mail."
  type        = list(number)
}

variable "topic" {
  description = "Full name of the topic that hears how the costs stand."
  type        = string
}

variable "channels" {
  description = "Notification channels that hear of it beside the account's administrators, five at most."
  type        = list(string)
}
