variable "project" {
  description = "Id of the project."
  type        = string
}

variable "region" {
  description = "Region in which values are kept."
  type        = string
}

variable "secrets" {
  description = "What each secret is for, by its id."
  type        = map(string)
}
